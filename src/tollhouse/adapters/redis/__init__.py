"""What all workers and replicas share, in Redis or Valkey: limits and budgets, and word of changes.

`RedisCounters` is a worker's, `RedisTreasury` a keeper's, `RedisNews` anybody's. The scripts beside them are the bank:
they decide whole batches, each call all or nothing, by the server's own time.
"""

from .counters import RedisCounters
from .line import BankUnreachable
from .news import RedisNews
from .standing import Standing
from .treasury import RedisTreasury

__all__ = ["BankUnreachable", "RedisCounters", "RedisNews", "RedisTreasury", "Standing"]

"""What all workers and replicas share, in Redis or Valkey: limits and budgets, recorded answers, and word of changes.

`RedisCounters` and `RedisAnswers` are a worker's, `RedisTreasury` a keeper's, `RedisNews` anybody's. The scripts beside
them decide whole batches, each call all or nothing, by the server's own time; those of the counters are the bank.
"""

from .answers import RedisAnswers
from .counters import RedisCounters
from .line import BankUnreachable
from .news import RedisNews
from .standing import Standing
from .treasury import RedisTreasury

__all__ = ["BankUnreachable", "RedisAnswers", "RedisCounters", "RedisNews", "RedisTreasury", "Standing"]

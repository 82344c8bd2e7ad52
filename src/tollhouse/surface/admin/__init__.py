"""The operator's door: the state of the house, and what may be changed while it runs."""

from .door import ADMIN_PATHS, AdminDoor, is_admin_path
from .office import InForce, Office

__all__ = ["ADMIN_PATHS", "AdminDoor", "InForce", "Office", "is_admin_path"]

"""Everything that can be taken out of a house: importing this enters all of it into `breakages.BREAKAGES`."""

from chaos.sabotage import breakages, process_breakages

__all__ = ["breakages", "process_breakages"]

"""The rooms an exchange passes, in the order of pipeline/page.py."""

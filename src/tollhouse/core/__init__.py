"""The vocabulary: frozen types and total functions. Imports the standard library's types and msgspec only."""

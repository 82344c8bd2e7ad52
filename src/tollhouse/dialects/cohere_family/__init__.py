"""The ground Cohere's chat, reranking and embeddings stand on: one way to read requests, usage and errors.

Source: Cohere's API reference, https://docs.cohere.com/reference, in the words of the types and docstrings of its SDK
cohere-python, read 2026-11-25; deviations name the provider that was seen to have them.
"""

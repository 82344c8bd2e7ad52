"""The ground OpenAI's chat, completions and embeddings stand on: one envelope, one way to read usage and errors.

Source: OpenAI's API reference, https://platform.openai.com/docs/api-reference, in the words of the types and
docstrings of its SDK openai-python 3.57.0, read 2026-11-24; deviations name the provider that was seen to have them.
"""

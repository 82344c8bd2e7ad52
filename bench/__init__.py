"""Measures Tollhouse beside the limit (nginx) and its peers, on one machine in one run. See bench/README.md."""

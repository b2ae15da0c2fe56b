"""What is fuzzed, by hypothesis in the suite (tests/test_fuzz.py) and by atheris where that is installed.

`python -m tests.fuzz TARGET SECONDS` runs one target under atheris, guided by the coverage of scraper's code.
"""

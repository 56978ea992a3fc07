"""What a person looks at: boards for Grafana, and pages that are generated from the one table of names.

A *board* is one dashboard: one module here, one file in `boards/`. A *panel* is one picture on it, with its *queries*.
`python -m dashboards` writes every file; the tests hold that what is committed is what it writes.
"""

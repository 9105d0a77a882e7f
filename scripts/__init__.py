"""The release toolkit behind `tasks.py` and `noxfile.py`; `README.md` in this folder shows its packages."""

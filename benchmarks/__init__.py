"""The speed of deltabar beside its peers, in one run: `make bench`. It needs the extra `bench`."""

"""The profiles once more, slow and plain: what the pass over headers is held against.

Written apart from ``service.deident``: it reads profiles and tables by itself, walks pydicom's data sets, decides about
each element anew, collects and seeks the patient's own values in its own way, and remembers nothing. Shared are only
what has tests of its own and no part in walking or deciding: the cleaning of a text, where dates stand in a text, and
lists of names.
"""

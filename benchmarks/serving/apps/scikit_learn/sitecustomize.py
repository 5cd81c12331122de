"""What AWS's Dockerfile does by `sed`: the toolkit asks for names that Python 3.10 has moved."""

import collections
import collections.abc

collections.Mapping = collections.abc.Mapping

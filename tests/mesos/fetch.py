#!/usr/bin/env python3
"""fetch.py FOLDER: downloads the egg of mesos.scheduler into FOLDER and prints its path.

The egg is the one place in the package registries that has Mesos as a compiled library. Eggs are no business of pip's;
setuptools before 80 has the client for them."""
import sys
import warnings

warnings.simplefilter("ignore")  # it is deprecated, and says so at length

from pkg_resources import Requirement
from setuptools.package_index import PackageIndex

index = PackageIndex(python="2.7", platform="linux-x86_64")
egg = index.fetch_distribution(Requirement.parse("mesos.scheduler==1.11.0"), sys.argv[1])
print(egg.location if egg else sys.exit("PyPI has no mesos.scheduler 1.11.0"))

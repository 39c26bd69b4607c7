from setuptools import setup

setup(cffi_modules=["native/cffi_build.py:ffi"])

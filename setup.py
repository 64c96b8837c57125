"""Builds the native kernels of app/models/serving/native. Without a C compiler they are left out."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "app.models.serving.native._kernels",
            ["app/models/serving/native/kernels.c"],
            depends=["app/models/serving/native/kernels.h"],
            extra_compile_args=["-O3", "-g0", "-ffp-contract=off", "-fvisibility=hidden"],
            optional=True,
        )
    ]
)

"""The native kernels: compiled where there is a C compiler, left out where there is none. See app/models/native."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "app.models.native._kernels",
            ["app/models/native/kernels.c"],
            depends=["app/models/native/kernels.h"],
            extra_compile_args=["-O3", "-g0", "-ffp-contract=off", "-fvisibility=hidden"],
            optional=True,
        )
    ]
)

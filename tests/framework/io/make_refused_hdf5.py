"""Makes refused_hdf5/*.h5: HDF5 files with one thing each that Heddle never writes.

Usage: python make_refused_hdf5.py (needs h5py and numpy). The files are kept in the tree, so that the
tests need neither.
"""

import os

import h5py
import numpy as np

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "refused_hdf5")
VALUES = np.arange(4, dtype="<f4")


def case(build):
    path = os.path.join(FOLDER, build.__name__.rstrip("_") + ".h5")
    newest = "v110" if build.__name__ == "virtual" else "v108"  # 1.8 has no virtual datasets
    with h5py.File(path, "w", libver=("v108", newest)) as file:
        build(file)


@case
def soft_link(f):
    f["a"] = VALUES
    f["link"] = h5py.SoftLink("/a")


@case
def external_link(f):
    f["link"] = h5py.ExternalLink("/etc/other.h5", "/a")


@case
def hard_link(f):
    f["a"] = VALUES
    f["b"] = f["a"]


@case
def cycle(f):
    group = f.create_group("g")
    group["self"] = group


@case
def chunked(f):
    f.create_dataset("a", data=VALUES, chunks=(2,))


@case
def compact(f):
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_layout(h5py.h5d.COMPACT)
    h5py.h5d.create(f.id, b"a", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((4,)), creation)


@case
def filtered(f):
    f.create_dataset("a", data=VALUES, compression="gzip")


@case
def virtual(f):
    layout = h5py.VirtualLayout(shape=(4,), dtype="<f4")
    layout[:] = h5py.VirtualSource("other.h5", "a", shape=(4,))
    f.create_virtual_dataset("a", layout)


@case
def external(f):
    f.create_dataset("a", shape=(4,), dtype="<f4", external=[("/etc/passwd", 0, 16)])


@case
def big_endian(f):
    f["a"] = VALUES.astype(">f4")


@case
def f64(f):
    f["a"] = VALUES.astype("<f8")


@case
def text(f):
    f["a"] = np.array([b"abc"], dtype="S3")


@case
def unmarked_u16(f):
    f["a"] = VALUES.astype("<u2")


@case
def wrong_mark(f):
    f["a"] = VALUES.astype("<u2")
    f["a"].attrs["dtype"] = np.bytes_("f32")


@case
def long_mark(f):
    f["a"] = VALUES.astype("<u2")
    f["a"].attrs["dtype"] = np.bytes_("x" * 100)


@case
def named_type(f):
    f["a"] = VALUES
    del f["a"]
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.commit(f.id, b"z")
    h5py.h5d.create(f.id, b"a", kind, h5py.h5s.create_simple((4,)))
    f["a"][...] = VALUES


@case
def type_object(f):
    f["t"] = np.dtype("<f4")


@case
def null_space(f):
    f["a"] = h5py.Empty("<f4")


@case
def late(f):
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
    h5py.h5d.create(f.id, b"a", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((4,)), creation)


@case
def huge(f):
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
    shape = h5py.h5s.create_simple((2**61, 2**61))
    h5py.h5d.create(f.id, b"a", h5py.h5t.IEEE_F32LE, shape, creation)


@case
def deep(f):
    f["/".join("abcdefghijkl")] = VALUES

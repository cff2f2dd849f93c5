"""The data sets that are trained on, as uint8 or int8 arrays with what scales them."""
import dataclasses
import glob
import gzip
import io
import os
import sys

import numpy as np


@dataclasses.dataclass
class Dataset:
    """A sample's value is raw * scale, less `mean`, over `std` (a channel)."""
    name: str
    train: tuple
    test: tuple
    scale: str = "1/255"
    mean: tuple = ()
    std: tuple = ()

    def spec(self, folder, part, limit=0):
        """What a trainer's --data takes; the arrays are written on first use."""
        paths = [os.path.join(folder, f"{self.name}_{part}_{what}.npy") for what in ("x", "y")]
        for path, array in zip(paths, getattr(self, part)):
            if not os.path.exists(path):
                np.save(f"{path}.{os.getpid()}.npy", array)
                os.replace(f"{path}.{os.getpid()}.npy", path)
        text = f"npy:{paths[0]},{paths[1]},scale={self.scale}"
        if self.mean:
            text += f",mean={':'.join(self.mean)},std={':'.join(self.std)}"
        return text + (f",limit={limit}" if limit else "")

    def to_float(self, raw):
        num, den = (int(v) for v in self.scale.split("/"))
        x = raw.astype(np.float32) * np.float32(num / den)
        if self.mean:
            shape = (1, -1) + (1,) * (x.ndim - 2)
            mean, std = (np.array(v, np.float32).reshape(shape) for v in (self.mean, self.std))
            x = (x - mean) / std
        return x


def opened(path):
    """The bytes of a file, gzipped or not."""
    for name, how in ((path, open), (path + ".gz", gzip.open)):
        if os.path.exists(name):
            with how(name, "rb") as f:
                raw = f.read()
            return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    sys.exit(f"{path}: not there")


def idx(path):
    raw = opened(path)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(np.frombuffer(raw, ">i4", raw[3], 4))


def base(folder):
    return os.path.basename(os.path.abspath(folder))


def mnist(folder):
    """MNIST or Fashion-MNIST: four IDX files."""
    parts = []
    for part in ("train", "t10k"):
        x, y = (idx(os.path.join(folder, f"{part}-{n}-ubyte")) for n in ("images-idx3", "labels-idx1"))
        parts.append((x[:, None], y))
    return Dataset(base(folder), *parts)


def cifar10(folder):
    """The binary records data_batch_*.bin and test_batch.bin."""
    parts = []
    for pattern in ("data_batch_*.bin", "test_batch.bin"):
        files = sorted(glob.glob(os.path.join(folder, pattern)))
        if not files:
            sys.exit(f"{folder}: no {pattern}")
        raw = np.concatenate([np.fromfile(f, np.uint8) for f in files]).reshape(-1, 3073)
        parts.append((np.ascontiguousarray(raw[:, 1:]).reshape(-1, 3, 32, 32), np.ascontiguousarray(raw[:, 0])))
    return Dataset(base(folder), *parts, mean=("0.4914", "0.4822", "0.4465"), std=("0.2470", "0.2435", "0.2616"))


def fsdd(folder):
    """Spoken digits as MFCC features, int8, standardised to 32."""
    parts = [tuple(np.load(io.BytesIO(opened(os.path.join(folder, f"{p}_{n}.npy")))) for n in ("mfcc", "labels"))
             for p in ("train", "test")]
    return Dataset(base(folder), *parts, scale="1/32")


DATASETS = {"mnist": mnist, "cifar10": cifar10, "fsdd": fsdd}

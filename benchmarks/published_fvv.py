"""FVV's published network: ten ONNX Runtime sessions one after another against willis.

    .venv/bin/python benchmarks/published_fvv.py                             24 slices, ten members: many minutes
    .venv/bin/python benchmarks/published_fvv.py --members 1 --slices 4      a look

Random weights. CPU seconds of all threads. Both ways get the same graphs and the same prepared slices; conversion to
OpenVINO's format, which a bundle goes through once, is not counted, loading is.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.special import expit

OUTPUTS = ("brain", "lesion", "flairvisible")


def made_up_slices(slices: int) -> np.ndarray:
    """(2, 256, 256, slices) of noise whose mean and deviation run along the slices, as those of a head do."""
    along = np.linspace(-1, 1, slices)
    x = np.random.default_rng(0).standard_normal((2, 256, 256, slices)) * (1 + 0.5 * along) + along
    return x.astype(np.float32)


def make_bundle(folder: Path, members: int, x: np.ndarray):
    """The published network with random weights whose batch statistics are those of the slices; half are positive."""
    import torch

    from willis.infer.slices import stack_about
    from willis.models.manifest import make_manifest
    from willis.models.publish import write_bundle
    from willis.models.store import open_bundle
    from willis.nets.registry import build_network
    from willis.tasks.fvv.dataset import manifest_fields

    some = np.unique(np.linspace(0, x.shape[3] - 1, 4).round().astype(int))
    seen = torch.from_numpy(np.stack([stack_about(x, int(index), 7, float(x.min())) for index in some]))
    states = []
    for member in range(members):
        torch.manual_seed(member)
        network = build_network("deeplab25d", {}).train()
        for module in network.modules():
            if hasattr(module, "momentum"):
                module.momentum = 1.0
        with torch.no_grad():
            network(seen)
            network.head.weight.mul_(3 / network.eval()(seen).std())
        states.append(network.state_dict())
    fields = {**manifest_fields({"preparation": "slices"}), "network": {"name": "deeplab25d", "config": {}}}
    write_bundle(folder, make_manifest(fields, "the benchmark"), states, half=False)
    return open_bundle(str(folder))


def one_after_another(graphs: list[Path], x: np.ndarray, threads: int) -> tuple[list[np.ndarray], float]:
    """Logits by ONNX Runtime as the published software calls it, and CPU seconds."""
    import onnxruntime

    from willis.infer.slices import predict_slices

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    found, start = [], time.process_time()
    for graph in graphs:
        session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        found.append(predict_slices(lambda stack, s=session, n=name: s.run(None, {n: stack})[0], x, 7))
    return found, time.process_time() - start


def compare(members: int, slices: int, threads: int) -> None:
    from willis.infer.ensemble import predict
    from willis.infer.onnx_export import onnx_graph
    from willis.infer.slices import BATCH

    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        x = made_up_slices(slices)
        bundle = make_bundle(folder / "bundle", members, x)
        graphs = [folder / f"{member}.onnx" for member in range(members)]
        for member, graph in enumerate(graphs):
            graph.write_bytes(onnx_graph(bundle, member, (BATCH, 2, 7, 256, 256)))
        predict(bundle, x[..., :1], engine="openvino", precision="float32", threads=threads)
        start = time.process_time()
        ours = predict(bundle, x, engine="openvino", precision="float32", threads=threads)
        spent = time.process_time() - start
        theirs, plain = one_after_another(graphs, x, threads)
    print(f"{members} members, {slices} slices of 256 × 256, {threads} thread(s), CPU s")
    print(f"ONNX Runtime, one session after another: {plain:.1f}")
    print(f"willis, OpenVINO float32: {spent:.1f}, {plain / spent:.2f} times less")
    other = [expit(logits) for logits in theirs]
    far = max(float(np.abs(p - q).max()) for p, q in zip(ours.members, other, strict=True))
    same = np.mean([(p > 0.5) == (q > 0.5) for p, q in zip(ours.members, other, strict=True)])
    print(f"largest difference of a probability {far:.1e}, {100 * same:.4f} % of the votes the same")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--slices", type=int, default=24)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    compare(given.members, given.slices, given.threads)


if __name__ == "__main__":
    main()

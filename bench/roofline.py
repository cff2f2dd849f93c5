#!/usr/bin/env python3
"""Where the calls of a training step stand under the machine's roofs.

A point is an operator of a node: its multiply-adds for each byte that it must read and write at
least once (plan.json), against multiply-adds a second (the trainer's --trace). The roofs are
bench/peak.c's: exact int8 and int16 products in registers, and a copy between core and memory;
what fits a cache may stand above the slope. Calls without products are listed below by operator,
with the time and the bytes a second. Needs matplotlib.

    DIR/trainer --data SPEC --steps 5 --threads 1 --trace trace.json
    python bench/roofline.py --plan DIR/plan.json --trace trace.json --out roofline.svg
"""
import argparse
import collections
import json

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (after the backend is chosen)

import peak  # noqa: E402

Point = collections.namedtuple("Point", "op node multiply_adds bytes seconds")
SECTIONS = ("prepare", "forward", "backward", "update")
HEAVIEST = 12  # points of the most time get their node's name


def points(plan, events):
    """Each (section, operator, node) once: its work in a step, and its least time in one step."""
    work = collections.defaultdict(lambda: [0, 0, 0])
    for n in plan["nodes"]:
        if n["section"] in SECTIONS and n["bytes"] > 0:
            w = work[n["section"], n["op"], n["name"]]
            w[0] += n["multiply_adds"]
            w[1] += n["bytes"]
            w[2] += 1
    taken = collections.defaultdict(list)
    for e in events:
        if "op" in e.get("args", {}):
            taken[e["cat"], e["args"]["op"], e["name"]].append(1e-6 * e["dur"])
    found = []
    for key, (products, size, calls) in work.items():
        steps = len(taken[key]) // calls
        if steps > 0:  # a step's calls of a key follow each other
            each = [sum(taken[key][i * calls:(i + 1) * calls]) for i in range(steps)]
            found.append(Point(key[1], key[2], products, size, max(min(each), 1e-9)))
    return sorted(found, key=lambda p: -p.seconds)


def label(node):
    parts = [p for p in node.split("/") if p]
    return "/".join(parts[-2:])


def draw_products(axes, all_points, peaks):
    for op in sorted({p.op for p in all_points}):
        of = [p for p in all_points if p.op == op]
        axes.scatter([p.multiply_adds / p.bytes for p in of], [1e-9 * p.multiply_adds / p.seconds for p in of],
                     s=[12 + 4e3 * p.seconds for p in of], alpha=0.6, label=op)
    for p in all_points[:HEAVIEST]:
        axes.annotate(label(p.node), (p.multiply_adds / p.bytes, 1e-9 * p.multiply_adds / p.seconds), fontsize=6)
    lowest, highest = [f(p.multiply_adds / p.bytes for p in all_points) for f in (min, max)]
    lowest, highest = lowest / 2, highest * 2
    for name in ("int8", "int16"):
        if peaks.get(name):
            axes.axhline(peaks[name], color="black", linewidth=0.8, linestyle="-" if name == "int8" else ":")
            axes.text(lowest, peaks[name], f"{name}: {peaks[name]:.0f}", fontsize=7, va="bottom")
    if peaks.get("copy"):
        roof = peaks.get("int8") or peaks["copy"] * highest
        axes.plot([lowest, roof / peaks["copy"]], [lowest * peaks["copy"], roof], color="black", linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel="multiply-adds a byte", ylabel="1e9 multiply-adds a second")
    axes.legend(fontsize=7, loc="lower right")


def draw_moved(axes, all_points, peaks):
    """Time a step of each operator without products, and its bytes a second."""
    total = collections.defaultdict(lambda: [0.0, 0])
    for p in all_points:
        total[p.op][0] += p.seconds
        total[p.op][1] += p.bytes
    rows = sorted(total.items(), key=lambda r: r[1][0])[-8:]
    axes.barh([r[0] for r in rows], [1e3 * r[1][0] for r in rows], color="tab:gray")
    for i, (_, (seconds, size)) in enumerate(rows):
        axes.text(1e3 * seconds, i, f" {1e-9 * size / seconds:.1f} GB/s", fontsize=7, va="center")
    roof = f", a copy: {peaks['copy']:.1f} GB/s" if peaks.get("copy") else ""
    axes.set(xlabel=f"ms a step of what multiplies nothing{roof}")
    axes.margins(x=0.2)


def draw(plan, events, peaks, path):
    found = points(plan, events)
    if not found:
        raise SystemExit("roofline: the trace has no call of this plan")
    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 8), height_ratios=[3, 1], layout="constrained")
    draw_products(above, [p for p in found if p.multiply_adds > 0], peaks)
    draw_moved(below, [p for p in found if p.multiply_adds == 0], peaks)
    above.set_title(f"{plan['model']}, {plan['arith']}, batch {plan['batch']}")
    figure.savefig(path)
    plt.close(figure)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--plan", required=True, help="plan.json of the compiled model")
    p.add_argument("--trace", required=True, help="what its trainer wrote with --trace")
    p.add_argument("--threads", type=int, default=1, help="the trainer's: roofs of so many cores")
    p.add_argument("--out", required=True, help="a picture: .svg, .png or .pdf")
    a = p.parse_args()
    with open(a.plan) as plan, open(a.trace) as trace:
        draw(json.load(plan), json.load(trace)["traceEvents"], peak.machine_peaks(a.threads), a.out)


if __name__ == "__main__":
    main()

"""Attributes outside the range of the training basins, which count as its edge (libs_tf.Scaling), by basin."""

import numpy as np

from writing.messages import note


def attributes_outside(pairs):
    """What lies outside the range that a run learned from; one note names the attribute that is outside most often.

    From pairs of a Run and the Prepared data that it simulates to a dict basin -> list of sentences.
    """
    sentences, basins_by_attribute, edges = {}, {}, {}
    for run, data in pairs:
        sentences |= {basin: sentences.get(basin, []) for basin in data.basins}
        for name, (low, high) in run.normalisation["attribute_range"].items():
            values = data.attributes[name]
            for side, edge, beyond in (("below", low, values < low), ("above", high, values > high)):
                beyond &= ~np.isclose(values, edge, rtol=1e-6)  # another processor rounds otherwise
                for basin in values.index[beyond]:
                    sentences[basin].append(f"{name} {side} the training range, counted as {edge:,.6g}")
                    basins_by_attribute.setdefault((name, side), []).append(basin)
                    edges.setdefault((name, side), set()).add(f"{edge:,.6g}")
    if basins_by_attribute:
        (name, side), basins = max(basins_by_attribute.items(), key=lambda item: len(item[1]))
        number = sum(bool(listed) for listed in sentences.values())
        note(
            f"{number} of {len(sentences)} basins have attributes outside the training range and counted as its edge, "
            f"most often {name} ({len(basins)} {side} {' or '.join(sorted(edges[name, side]))})."
        )
    return sentences

"""Writes fixture.json: predictions and what scikit-learn makes of them.

    pip install numpy scikit-learn scipy && python tests/trainer/metrics/make_fixture.py

The expected calibration error, which scikit-learn does not have, is computed here from its definition
(Guo et al. 2017): 15 bins (low, high] of the confidence of the predicted label.
"""
import json
import pathlib
import warnings

import numpy as np
import scipy.special
import scipy.stats
from sklearn import metrics

warnings.filterwarnings("ignore")
generator = np.random.default_rng(20240517)


def logits_for(truth_scores, noise, step):
    """Noisy scores rounded to multiples of `step`, so that many are equal."""
    noisy = truth_scores + noise * generator.standard_normal(truth_scores.shape)
    return (np.round(noisy / step) * step).astype(np.float32)


def calibration_error(confidence, right, bins=15):
    total = 0.0
    for low in range(bins):
        inside = (confidence > low / bins) & (confidence <= (low + 1) / bins)
        if inside.any():
            total += inside.sum() * abs(right[inside].mean() - confidence[inside].mean())
    return total / len(confidence)


def per_label(truth, predicted, scores, labels):
    result = []
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truth, predicted, labels=labels, zero_division=0)
    for i in labels:
        actual = truth[:, i] if truth.ndim == 2 else truth == i
        decided = predicted[:, i] if truth.ndim == 2 else predicted == i
        absent = not actual.any() and not decided.any()
        both = actual.any() and not actual.all()
        result.append({
            "support": int(support[i]),
            "precision": None if absent else precision[i],
            "recall": None if absent else recall[i],
            "f1": None if absent else f1[i],
            "auroc": metrics.roc_auc_score(actual, scores[:, i]) if both else None})
    return result


def single_label(name, rows, labels, noise=1.5, occurring=None):
    truth = generator.integers(0, occurring or labels, rows)
    scores = np.zeros((rows, labels))
    scores[np.arange(rows), truth] = 1.5
    if occurring:
        scores[:, occurring:] = -9
    logits = logits_for(scores, noise, 0.25)
    probability = scipy.special.softmax(logits.astype(np.float64), axis=1)
    predicted = logits.argmax(axis=1)
    areas = per_label(truth, predicted, probability, range(labels))
    defined = [area["auroc"] for area in areas if area["auroc"] is not None]
    average = {"average": "macro", "zero_division": 0}
    return {
        "name": name, "problem": "single_label", "labels": labels,
        "logits": logits.ravel().tolist(), "classes": truth.tolist(),
        "metrics": {
            "accuracy": metrics.accuracy_score(truth, predicted),
            "macro_f1": metrics.f1_score(truth, predicted, **average),
            "micro_f1": metrics.f1_score(truth, predicted, average="micro"),
            "macro_precision": metrics.precision_score(truth, predicted, **average),
            "macro_recall": metrics.recall_score(truth, predicted, **average),
            "matthews": metrics.matthews_corrcoef(truth, predicted),
            "auroc": (metrics.roc_auc_score(truth, probability[:, 1]) if labels == 2 else
                      metrics.roc_auc_score(truth, probability, multi_class="ovr")
                      if not occurring else float(np.mean(defined))),
            "log_loss": metrics.log_loss(truth, probability, labels=range(labels)),
            "calibration_error": calibration_error(probability.max(axis=1), predicted == truth)},
        "per_label": areas,
        "confusion": metrics.confusion_matrix(truth, predicted, labels=range(labels)).tolist()}


def multi_label(name, rows, labels):
    truth = (generator.random((rows, labels)) < 0.3).astype(int)
    logits = logits_for(truth * 2.0 - 1.0, 1.2, 0.25)
    logits[logits == 0] = -0.25
    predicted = (logits > 0).astype(int)
    probability = scipy.special.expit(logits.astype(np.float64))
    macro = {"average": "macro", "zero_division": 0}
    micro = {"average": "micro", "zero_division": 0}
    return {
        "name": name, "problem": "multi_label", "labels": labels,
        "logits": logits.ravel().tolist(), "targets": truth.ravel().tolist(),
        "metrics": {
            "subset_accuracy": metrics.accuracy_score(truth, predicted),
            "macro_f1": metrics.f1_score(truth, predicted, **macro),
            "micro_f1": metrics.f1_score(truth, predicted, **micro),
            "macro_precision": metrics.precision_score(truth, predicted, **macro),
            "micro_precision": metrics.precision_score(truth, predicted, **micro),
            "macro_recall": metrics.recall_score(truth, predicted, **macro),
            "micro_recall": metrics.recall_score(truth, predicted, **micro),
            "auroc": metrics.roc_auc_score(truth, probability, average="macro"),
            "log_loss": float(np.mean([metrics.log_loss(truth[:, i], probability[:, i])
                                       for i in range(labels)]))},
        "per_label": per_label(truth, predicted, probability, range(labels))}


def regression(name, rows, outputs):
    truth = np.round(generator.random((rows, outputs)) * 5, 1).astype(np.float32)
    logits = logits_for(truth, 0.8, 0.1)
    return {
        "name": name, "problem": "regression", "labels": outputs,
        "logits": logits.ravel().tolist(), "targets": truth.ravel().tolist(),
        "metrics": {
            "pearson": float(np.mean([scipy.stats.pearsonr(logits[:, i].astype(np.float64),
                                                           truth[:, i].astype(np.float64))[0]
                                      for i in range(outputs)])),
            "spearman": float(np.mean([scipy.stats.spearmanr(logits[:, i], truth[:, i])[0]
                                       for i in range(outputs)])),
            "mse": metrics.mean_squared_error(truth.astype(np.float64), logits.astype(np.float64)),
            "mae": metrics.mean_absolute_error(truth.astype(np.float64),
                                               logits.astype(np.float64))}}


cases = [
    single_label("binary", 200, 2),
    single_label("six classes", 150, 6),
    single_label("classes that never occur", 60, 5, occurring=3),
    multi_label("five labels", 120, 5),
    regression("one output", 150, 1),
    regression("three outputs", 40, 3),
]
path = pathlib.Path(__file__).parent / "fixture.json"
path.write_text(json.dumps({"cases": cases}) + "\n")
print(f"{path}: {len(cases)} cases, {path.stat().st_size} bytes")

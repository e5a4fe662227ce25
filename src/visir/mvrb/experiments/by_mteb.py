"""mteb's own tasks of documents and pictures (ViDoRe, VisRAG …) with our systems, measured by mteb."""

from visir.errors import BenchmarkError
from visir.mvrb.experiments.setting import Cell, Finding, Setting, percent


def by_mteb(setting: Setting) -> Finding:
    """Run tasks and benchmarks of mteb by name, such as ``VisRAGRetChartQA`` and ``ViDoRe(v1)``; their data come from the hub.

    Raises:
        BenchmarkError: mteb is not installed, has none of that name, or the data cannot be had.
    """
    try:
        from visir.mvrb.mteb import measure_with_mteb, tasks_named
    except ImportError as error:
        raise BenchmarkError(f"mteb is not installed: pip install 'visir[mteb]' ({error})") from error
    if not setting.patterns:
        raise BenchmarkError('name tasks or benchmarks of mteb, each with --task, as in --task "ViDoRe(v1)"')
    rows: list[list[Cell]] = []
    for retriever in setting.retrievers():
        for name, scores in measure_with_mteb(tasks_named(setting.patterns), retriever, setting.tell).items():
            shown = [percent(float(scores[measure])) for measure in ("main_score", "recall_at_1", "ndcg_at_5", "ndcg_at_10")]
            rows.append([retriever.name, name, *shown])
    text = "Measured by mteb; the main score is the task's own; all in percent."
    return Finding("mteb", text, ["model", "task", "main score", "Recall@1", "nDCG@5", "nDCG@10"], rows)

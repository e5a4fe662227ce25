"""A small benchmark in MVRB's layout, of pages drawn here: four meta-tasks, three forms of target."""

import io
import json
import zipfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SUBJECTS = {
    "lighthouse": "The lighthouse on the northern cape was built of granite in 1871",
    "sourdough": "A sourdough starter wants rye flour and water every morning",
    "glacier": "The glacier lost eleven metres of ice during one warm summer",
    "violin": "Varnish gives the violin its colour and protects the spruce",
    "orchard": "The orchard grows forty kinds of apples and six of pears",
    "railway": "The narrow railway climbs nine hundred metres to the pass",
}
CLASSES = {
    "lighthouse": "buildings",
    "sourdough": "food",
    "glacier": "nature",
    "violin": "music",
    "orchard": "farming",
    "railway": "transport",
}


def picture(text: str, ground: str = "white") -> bytes:
    image = Image.new("RGB", (640, 480), ground)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(28)
    words = text.split()
    for line in range(0, len(words), 5):
        draw.text((30, 40 + 9 * line), " ".join(words[line : line + 5]), "black", font=font)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def write_benchmark(folder: Path, zipped: bool = True) -> Path:
    pictures = {f"Images/pages/{name}.png": picture(text) for name, text in SUBJECTS.items()}
    pictures |= {f"Images/asked/{name}.png": picture(" ".join(text.split()[:7]), "#eef") for name, text in SUBJECTS.items()}
    names = list(SUBJECTS)
    corpus = [{"text": "", "image": f"pages/{name}.png", "content": f"content of {name}"} for name in names]
    tasks = {
        "Screenshot_Retrieval/document": (
            [{"q_text": f"what about the {name}", "q_image": "", "target": number} for number, name in enumerate(names)],
            corpus,
        ),
        "Composed_Screenshot_Retrieval/knowledge": (
            [
                {"q_text": " ".join(SUBJECTS[name].split()[7:]), "q_image": f"asked/{name}.png", "target": f"pages/{name}.png"}
                for name in names
            ],
            corpus,
        ),
        "Screenshot_QA/wiki-qa": (
            [{"q_text": "what is told here", "q_image": f"pages/{name}.png", "target": [SUBJECTS[name]]} for name in names],
            [{"text": SUBJECTS[name], "image": "", "content": ""} for name in names],
        ),
        "Open_Vocab_Classification/topics": (
            [{"q_text": "", "q_image": f"pages/{name}.png", "target": CLASSES[name]} for name in names],
            [{"text": "", "image": None, "content": CLASSES[name]} for name in names],
        ),
    }
    for task, (queries, candidates) in tasks.items():
        place = folder / task
        place.mkdir(parents=True)
        (place / "query.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries))
        (place / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in candidates))
    if zipped:
        with zipfile.ZipFile(folder / "Images.zip", "w") as archive:
            for name, content in pictures.items():
                archive.writestr(name, content)
    else:
        for name, content in pictures.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    return folder

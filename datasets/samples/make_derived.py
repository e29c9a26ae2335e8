"""Make the multi-label and the regression sample from the definitions sample.

    python3 datasets/samples/make_derived.py

Both answers follow from the text by a rule, so a model can learn them from few rows. The same input
gives the same bytes.
"""
import pathlib
import re

HERE = pathlib.Path(__file__).parent
ROWS = {"train": 240, "dev": 120}

# A definition has a theme if one of its words is among these.
THEMES = {
    "color": "black blue brown color colored dark gray green orange pale pink purple red white yellow",
    "part": "bone bones flower flowers fruit head leaf leaves leg legs part seed seeds stem stems tail",
    "people": "child man men people person someone who woman women",
    "place": "america american city country england europe north river south state states town world",
    "size": "big large largest little long short small smallest tall tiny wide",
}


def words(text):
    return re.findall(r"[a-z]+", text.lower())


def themes(text):
    found = set(words(text))
    return [name for name, listed in THEMES.items() if found & set(listed.split())]


def write(name, header, rows):
    path = HERE / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join("\t".join(row) + "\n" for row in [header, *rows]), encoding="utf-8")


def main():
    for split, count in ROWS.items():
        lines = (HERE / "definitions" / f"{split}.tsv").read_text(encoding="utf-8").splitlines()
        texts = [line.split("\t")[0] for line in lines[1:]]
        # Rows without a theme are the most frequent: keep few of them.
        themed = [text for text in texts if themes(text)]
        plain = [text for text in texts if not themes(text)]
        chosen = themed[: count * 9 // 10] + plain[: count // 10]
        chosen.sort(key=texts.index)
        write(f"multi_label/{split}.tsv", ("definition", "themes"),
              [(text, "|".join(themes(text))) for text in chosen])
        write(f"regression/{split}.tsv", ("definition", "length"),
              [(text, f"{len(words(text)) / 10:.1f}") for text in texts[:count]])


if __name__ == "__main__":
    main()

"""What a report says of its images: what people call them, and their classes."""

from typing import Any

from example_study import OBJECTIVES, SPACE, trial

from reports.markdown import report
from reports.protocol import how_measured
from reports.study import Study


def noting(**data: Any) -> Study:
    return Study("s", OBJECTIVES, (trial(0, 0.9),), SPACE, data=data)


def test_images_are_called_by_their_title() -> None:
    assert "validation accuracy on pets for its cost" in report(noting(title="pets"))
    assert "validation accuracy on cifar10 for its cost" in report(noting())


def test_a_title_is_text_without_markup() -> None:
    assert "accuracy on &lt;b> # x for" in report(noting(title="<b>\n# x")).split("## Answer")[0]


def test_many_classes_are_not_all_listed() -> None:
    (line,) = [line for line in how_measured(noting(class_names=["cat", "dog"])) if "Data" in line]
    assert "class_names `[cat, dog]`" in line
    names = [f"class {n}" for n in range(1000)]
    (line,) = [line for line in how_measured(noting(class_names=names)) if "Data" in line]
    assert "class 49, and 950 more]`" in line

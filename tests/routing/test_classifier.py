"""The packaged classifier: what must hold for each task and language, whatever it is next trained on."""

import subprocess
import sys
from importlib.resources import files

import pytest

from portal.routing.classifier import MAGIC, Classifier, packaged_classifier
from portal.routing.judgement import TASKS

HOLDS = [
    ("coding", "Write a Python function that reverses a list."),
    ("coding", "my function keeps returning undefined"),
    ("coding", "Schreibe ein Skript, das alle Dateien umbenennt."),
    ("coding", "Écris une fonction qui trie un tableau en Java."),
    ("coding", "Escribe una consulta SQL para la tabla de clientes."),
    ("coding", "Escreva um script em Python que leia um arquivo CSV."),
    ("coding", "एक पायथन फ़ंक्शन लिखो जो सबसे बड़ी संख्या दे"),
    ("coding", "写一个Python函数计算平均值"),
    ("math", "What is 18 percent of 350?"),
    ("math", "Solve the equation 5x - 3 = 22."),
    ("math", "Wie viel sind 20 Prozent von 450?"),
    ("math", "Résous l'équation 2x + 3 = 9."),
    ("math", "¿Cuánto es el 20 % de 450?"),
    ("math", "Resolva a equação 2x + 3 = 9."),
    ("math", "300 का 20 प्रतिशत कितना है?"),
    ("math", "解方程 2x + 3 = 9"),
    ("reasoning", "All birds fly. Pip does not fly. What follows logically about Pip?"),
    ("reasoning", "Two guards, one always lies. Which question do I ask?"),
    ("reasoning", "Wer von den vier lügt, wenn genau einer die Wahrheit sagt?"),
    ("reasoning", "Qui des trois ment ?"),
    ("reasoning", "¿Quién de los dos miente?"),
    ("reasoning", "Qual dos quatro está mentindo?"),
    ("reasoning", "इन चारों में से झूठ कौन बोल रहा है?"),
    ("reasoning", "四个人里谁在说谎？"),
    ("creative", "Write a poem about the sea."),
    ("creative", "Tell me a story about a clever goat."),
    ("creative", "Schreibe ein Gedicht über den Mond."),
    ("creative", "Raconte-moi une histoire de sorcière."),
    ("creative", "Escribe un poema sobre el mar."),
    ("creative", "Escreva um conto sobre um velho farol."),
    ("creative", "नदी पर एक कविता लिखो"),
    ("creative", "写一首关于大海的诗"),
    ("documents", "Summarise the following report in five sentences."),
    ("documents", "Write a formal letter to my landlord."),
    ("documents", "Fasse den folgenden Text zusammen."),
    ("documents", "Résume ce rapport."),
    ("documents", "Resume este informe."),
    ("documents", "Resuma este relatório."),
    ("documents", "इस लेख का सारांश लिखो"),
    ("documents", "总结这篇报告"),
    ("research", "What is the latest news about the strike?"),
    ("research", "What is the weather in Rome today?"),
    ("research", "Wie wird das Wetter morgen in Bremen?"),
    ("research", "Quel temps fera-t-il demain ?"),
    ("research", "¿Cuáles son las últimas noticias?"),
    ("research", "Quais são as últimas notícias?"),
    ("research", "आज की ताज़ा खबर क्या है?"),
    ("research", "今天上海天气怎么样"),
    ("vision", "What is in this picture?"),
    ("vision", "Was steht auf dem Schild auf dem Foto?"),
    ("vision", "Que vois-tu sur la photo ?"),
    ("vision", "¿Qué hay en esta imagen?"),
    ("vision", "O que aparece nesta foto?"),
    ("vision", "इस तस्वीर में क्या है?"),
    ("vision", "这张照片里有什么"),
    ("image_generation", "Draw a fox in the snow."),
    ("image_generation", "Zeichne einen Hund mit Hut."),
    ("image_generation", "Dessine un chat noir."),
    ("image_generation", "Dibuja un caballo azul."),
    ("image_generation", "Desenhe um gato azul."),
    ("image_generation", "एक मोर का चित्र बनाओ"),
    ("image_generation", "画一只熊猫"),
    ("audio", "Read this text aloud."),
    ("audio", "Lies den Brief laut vor."),
    ("audio", "Transcris cet enregistrement."),
    ("audio", "Transcribe esta grabación."),
    ("audio", "Transcreva esta gravação."),
    ("audio", "इस ऑडियो को लिख दो"),
    ("audio", "把录音转成文字"),
    ("video_generation", "Make a short video of a running horse."),
    ("video_generation", "Erstelle ein Video von einem Hund am Strand."),
    ("video_generation", "Crée une vidéo d'un chat."),
    ("video_generation", "Crea un vídeo de un gato."),
    ("video_generation", "Crie um vídeo de um gato."),
    ("video_generation", "एक बिल्ली का वीडियो बनाओ"),
    ("video_generation", "生成一段小猫的视频"),
    ("general", "What is the capital of Peru?"),
    ("general", "How does image compression work?"),
    ("general", "Wie funktioniert eine Kamera?"),
    ("general", "Pourquoi le ciel est-il bleu ?"),
    ("general", "¿Por qué soñamos?"),
    ("general", "Por que o céu é azul?"),
    ("general", "कैमरा कैसे काम करता है?"),
    ("general", "你好"),
]

TURNS = [
    ("coding", ["write a function that sums a list"], "now with error handling"),
    ("creative", ["write a poem about the sea"], "shorter"),
    ("documents", ["summarise this report"], "even shorter"),
    ("image_generation", ["draw a castle"], "bigger"),
    ("math", ["what is 15 percent of 80"], "and of 120?"),
    ("creative", ["schreibe ein Gedicht über den Winter"], "kürzer"),
    ("creative", ["写一首雨的诗"], "再短一点"),
    ("general", ["write a poem about the sea"], "thanks"),
    ("coding", ["write a poem about the sea"], "Write a Python function that sorts a list of numbers."),
]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return packaged_classifier()


@pytest.mark.parametrize(("task", "text"), HOLDS)
def test_a_plain_request_is_known_for_what_it_is(classifier: Classifier, task: str, text: str) -> None:
    assert classifier.judge(text).task == task


@pytest.mark.parametrize(("task", "before", "text"), TURNS)
def test_a_turn_is_judged_after_the_turn_before(
    classifier: Classifier, task: str, before: list[str], text: str
) -> None:
    assert classifier.judge(text, before).task == task


def test_older_turns_reach_through_a_short_one(classifier: Classifier) -> None:
    assert classifier.judge("shorter", ["write a poem about the sea", "sadder, please"]).task == "creative"


def test_scores_are_shares_of_exactly_the_labels(classifier: Classifier) -> None:
    judged = classifier.judge("draw a fox")

    assert set(judged.scores) == set(classifier.labels) == set(TASKS)
    assert sum(judged.scores.values()) == pytest.approx(1)
    assert judged.confidence == judged.scores[judged.task] == max(judged.scores.values())


def test_the_same_text_is_judged_alike(classifier: Classifier) -> None:
    again = Classifier(files("portal.routing").joinpath("classifier.bin").read_bytes())

    assert classifier.judge("what now?", ["hello"]) == again.judge("what now?", ["hello"])


def test_what_is_given_and_clearly_wanted_is_needed(classifier: Classifier) -> None:
    plain = classifier.judge("What is the capital of Peru?")
    seen = classifier.judge("what is this?", has_image=True)
    heard = classifier.judge("what is he saying?", has_audio=True)

    assert plain.needs == frozenset()
    assert (seen.task, seen.needs) == ("vision", {"vision"})
    assert (heard.task, heard.needs) == ("audio", {"audio"})
    assert classifier.judge("", has_image=True).task == "vision"
    assert classifier.judge("Draw a fox in the snow.").needs == {"image_generation"}
    assert classifier.judge("Make a short video of a running horse.").needs == {"video_generation"}
    assert classifier.judge("What is the weather in Rome today?").needs == {"tools"}


def test_a_given_picture_may_still_be_there_for_something_else(classifier: Classifier) -> None:
    judged = classifier.judge("Make a short video from this picture, animate the water.", has_image=True)

    assert judged.task == "video_generation"
    assert judged.needs == {"vision", "video_generation"}


def test_pasted_material_does_not_hide_what_is_wanted(classifier: Classifier) -> None:
    pasted = "The committee met on Tuesday and spoke about the harbour. " * 400

    assert classifier.judge(f"Summarise the following text in three sentences.\n{pasted}").task == "documents"
    assert classifier.judge("Why does this crash?\n```\n" + "x = y[3]\n" * 500 + "```").task == "coding"


@pytest.mark.parametrize(
    "text",
    ["", " ", "\n\n", "?", "!" * 5000, "\x00\x01\xff", "\ud800", "a\udfffb", "🦊🎉" * 50, "\u200d\ufe0f",
     "a" * 1_000_000, "一" * 5000, "```", "e\u0301" * 1000, "\u0964", "٣٤ 3️⃣", "write a poem " * 80_000],
)  # fmt: skip
def test_any_text_is_judged(classifier: Classifier, text: str) -> None:
    for judged in (classifier.judge(text), classifier.judge("and?", [text])):
        assert judged.task in TASKS
        assert 0 <= judged.difficulty <= 1


def test_hard_requests_are_told_from_easy_ones(classifier: Classifier) -> None:
    easy = ["hi", "thanks a lot", "what is 2 plus 3", "hola", "你好"]
    hard = [
        "Prove that every finite group of prime order is cyclic.",
        "Design a distributed queue that survives network partitions and argue that it loses nothing.",
        "Find the race condition in this lock-free concurrent map.",
    ]

    assert max(classifier.judge(text).difficulty for text in easy) < 0.4
    assert min(classifier.judge(text).difficulty for text in hard) > 0.6


def test_the_model_is_small() -> None:
    assert len(files("portal.routing").joinpath("classifier.bin").read_bytes()) < 5_000_000


def test_something_else_is_no_model() -> None:
    with pytest.raises(ValueError, match="not a classifier's model"):
        Classifier(MAGIC[:-2])


def test_no_numpy_is_imported_to_judge() -> None:
    script = (
        "import sys; from portal.routing.classifier import packaged_classifier;"
        "packaged_classifier().judge('hello'); sys.exit('numpy' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

"""Plain keyword rules, to be beaten: the first task, in this order, one of whose words stands in the text."""

from portal.routing.pieces import fold

KEYWORDS = {
    "video_generation": "video film clip animate animation animiere anime timelapse animer pelicula vídeo filme 视频 动画 短片 वीडियो",
    "image_generation": "draw paint picture logo poster illustration image zeichne bild male dessine dibuja desenhe 画 海报 चित्र लोगो",
    "audio": "audio sound music song transcribe melody aloud musik laut musique musica música 音频 音乐 朗读 संगीत ऑडियो",
    "vision": "photo screenshot foto attached captura 照片 图 फ़ोटो",
    "coding": "code function python javascript java sql script bug error program funktion fonction código codigo 代码 函数 कोड",
    "math": "calculate equation percent solve derivative integral prozent berechne calcule ecuación equação 计算 方程 प्रतिशत",
    "reasoning": "logic puzzle riddle deduce conclusion rätsel logik énigme acertijo 推理 谜 पहेली तर्क",
    "research": "latest news today current find sources weather price aktuell heute actualité hoy hoje 最新 今天 आज खबर",
    "documents": "summarise summarize letter email report table document brief bericht résume lettre carta resume 总结 表格 पत्र सारांश",
    "creative": "story poem write imagine slogan joke gedicht geschichte poème histoire poema cuento história 诗 故事 कविता कहानी",
}  # fmt: skip
_WORDS = {task: [fold(word) for word in words.split()] for task, words in KEYWORDS.items()}


def judge(text: str) -> str:
    """The task by rules; whatever no rule knows is general."""
    folded = fold(text)
    said = set(folded.replace("?", " ").replace(",", " ").replace(".", " ").split())
    for task, keywords in _WORDS.items():
        if any(word in said or (not word.isascii() and word in folded) for word in keywords):
            return task
    return "general"

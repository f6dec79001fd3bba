"""Asks a Portal by LiteLLM, over each API that it can speak to it; prints what came as JSON.

python litellm_client.py URL KEY MODEL...
"""

import json
import sys

import litellm

litellm.telemetry = False
litellm.suppress_debug_info = True
HI = [{"role": "user", "content": "hi there"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def asked(door, base, key, model, **more):
    return litellm.completion(model=f"{door}/{model}", api_base=base, api_key=key, messages=HI, max_tokens=50, **more)


def whole(*way):
    choice = asked(*way).choices[0]
    return [choice.message.content, choice.finish_reason]


def streamed(*way):
    chunks = list(asked(*way, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    return [text, chunks[-1].choices[0].finish_reason]


def called(*way):
    call = asked(*way, tools=[WEATHER]).choices[0].message.tool_calls[0].function
    return [call.name, json.loads(call.arguments)]


def refused(*way):
    try:
        asked(*way)
    except litellm.exceptions.APIError as error:
        return error.status_code
    except Exception as error:  # its classes differ by door; the name is what the test looks at
        return getattr(error, "status_code", type(error).__name__)


def main(url, key, *models):
    doors = {"openai": f"{url}/v1", "anthropic": url, "ollama_chat": url}
    seen = {}
    for door, base in doors.items():
        seen[door] = {model: [whole(door, base, key, model), streamed(door, base, key, model)] for model in models}
        seen[door]["tools"] = called(door, base, key, "calls")
        seen[door]["unknown"] = refused(door, base, key, "nobody")
        seen[door]["key"] = refused(door, base, "wrong", models[0])
    vectors = litellm.embedding(model="openai/vectors", api_base=f"{url}/v1", api_key=key, input=["a", "b"])
    seen["vectors"] = len(vectors.data)
    print(json.dumps(seen))


main(*sys.argv[1:])

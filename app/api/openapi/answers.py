"""What operations answer when all is well, by their names: descriptions and examples in the OpenAPI document."""

from typing import Any

DESCRIPTIONS: dict[str, str] = {
    "list_models": "All versions that are loaded, and those that cannot be used",
    "get_model": "The versions of the name, and those of them that cannot be used",
    "load_model": "The version is loaded and warm in every engine",
    "set_default_version": "The version that answers for the name now",
    "unload_model": "The versions that are not loaded any more",
    "hugging_face_text_classification": "For each text its labels, the best first",
    "hugging_face_translation": "A translation for each text, in the same order",
    "hugging_face_image_to_text": "A sentence about each image, in the same order",
    "open_inference_server": "Name, version and extensions",
    "open_inference_live": "The process is up",
    "open_inference_ready": "Requests are answered",
    "open_inference_all_statistics": "Counts and durations of each version that answers",
    "open_inference_metadata": "Versions, and tensors with their datatypes and shapes",
    "open_inference_model_ready": "An engine has the model",
    "open_inference_configuration": "Tensors without the dimension of the batch, and the most inputs of a request",
    "open_inference_statistics": "Counts and durations of each version that was asked for",
    "open_inference_generate": "The text that was emitted, with its score and why it ended",
    "open_inference_index": "Versions with their states, and reasons of those that do not answer",
    "open_inference_load": "The version is loaded and warm in every engine",
    "open_inference_unload": "The versions are not loaded any more",
    "health": "The process is up",
    "readiness": "Every engine has loaded and warmed every whole version",
}
ANSWERS: dict[str, dict[str, Any]] = {
    "sentiment": {
        "one": {
            "results": [
                {
                    "label": "positive",
                    "score": 0.9994,
                    "polarity": 0.9987,
                    "scores": {"negative": 0.0006, "positive": 0.9994},
                    "model": "sentiment-en",
                    "version": 1,
                }
            ],
            "usage": {"inputs": 1, "source_tokens": 13, "emitted_tokens": 0},
        },
        "mixed": {
            "results": [
                {
                    "label": "negative",
                    "score": 0.9945,
                    "polarity": -0.9889,
                    "scores": {"negative": 0.9945, "positive": 0.0055},
                    "model": "sentiment-en",
                    "version": 1,
                },
                {
                    "label": "positive",
                    "score": 0.9948,
                    "polarity": 0.9897,
                    "scores": {"negative": 0.0052, "positive": 0.9948},
                    "model": "sentiment-ko",
                    "version": 1,
                },
            ],
            "usage": {"inputs": 2, "source_tokens": 18, "emitted_tokens": 0},
        },
    },
    "caption": {
        "photo": {
            "results": [
                {
                    "text": "a man in a red shirt and a black shirt is standing in front of a crowd",
                    "score": -1.346,
                    "finish_reason": "stop",
                    "model": "caption-en",
                    "version": 1,
                }
            ],
            "usage": {"inputs": 1, "source_tokens": 0, "emitted_tokens": 17},
        }
    },
    "translate": {
        "one": {
            "results": [
                {
                    "text": "닫기 전에 변경 사항을 저장하시겠습니까?",
                    "score": -0.1748,
                    "finish_reason": "stop",
                    "model": "translate-en-ko",
                    "version": 1,
                }
            ],
            "usage": {"inputs": 1, "source_tokens": 12, "emitted_tokens": 8},
        },
        "explained": {
            "results": [
                {
                    "text": "파일 열기",
                    "score": -0.0689,
                    "finish_reason": "stop",
                    "tokens": [
                        {
                            "text": " 파일",
                            "logprob": -0.1303,
                            "alternatives": [
                                {"text": " 파일", "logprob": -0.1303},
                                {"text": " 파일을", "logprob": -3.5398},
                            ],
                        },
                        {
                            "text": " 열기",
                            "logprob": -0.027,
                            "alternatives": [{"text": " 열기", "logprob": -0.027}, {"text": " 열", "logprob": -5.4401}],
                        },
                        {
                            "text": "<eos>",
                            "logprob": -0.0494,
                            "alternatives": [{"text": "<eos>", "logprob": -0.0494}, {"text": ".", "logprob": -6.4381}],
                        },
                    ],
                    "attention": {
                        "source": [
                            {"text": " Open", "start": 0, "end": 4},
                            {"text": " file", "start": 4, "end": 9},
                            {"text": "<eos>", "start": 9, "end": 9},
                        ],
                        "target": [" 파일", " 열기", "<eos>"],
                        "weights": [[0.0867, 0.9109, 0.0024], [0.9328, 0.0203, 0.0469], [0.0014, 0.0062, 0.9923]],
                    },
                    "model": "translate-en-ko",
                    "version": 1,
                }
            ],
            "usage": {"inputs": 1, "source_tokens": 3, "emitted_tokens": 2},
        },
    },
    "complete": {
        "one": {
            "results": [
                {
                    "text": " best movies i have ever seen. i'm not sure if it was a movie. i was very disappointed. i",
                    "score": -1.437,
                    "finish_reason": "length",
                    "model": "lm-en",
                    "version": 1,
                }
            ],
            "usage": {"inputs": 1, "source_tokens": 7, "emitted_tokens": 24},
        },
        "next": {
            "results": [
                {
                    "text": " great",
                    "score": -3.2844,
                    "finish_reason": "length",
                    "model": "lm-en",
                    "version": 1,
                    "next": [
                        {"text": " great", "probability": 0.0375},
                        {"text": " excellent", "probability": 0.0318},
                        {"text": " very", "probability": 0.0308},
                        {"text": " good", "probability": 0.0233},
                        {"text": " superb", "probability": 0.0229},
                    ],
                },
                {
                    "text": " 봤어요",
                    "score": -1.5053,
                    "finish_reason": "length",
                    "model": "lm-ko",
                    "version": 1,
                    "next": [
                        {"text": " 봤어요", "probability": 0.2219},
                        {"text": " 봤습니다", "probability": 0.1753},
                        {"text": " 본", "probability": 0.0971},
                        {"text": " 봤음", "probability": 0.0534},
                        {"text": " 봤다", "probability": 0.0437},
                    ],
                },
            ],
            "usage": {"inputs": 2, "source_tokens": 7, "emitted_tokens": 2},
        },
    },
}  # of the shipped models to the examples of a body, numbers cut

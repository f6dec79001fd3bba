"""OpenAI's API: Responses, Conversations, Chat Completions, Files, Embeddings, Models."""

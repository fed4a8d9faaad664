"""What a training leaves on the disk, and how it is read back. Knows no loop and no sampling.

    runs/book/
    ├── run.json                 what was asked, resolved; written last when a run begins, so no run is half begun
    ├── metrics.jsonl            a line for each report
    ├── tokens/3f9a0c11d2e4/     the run's own copy of its text, in tokens
    └── checkpoints/
        └── step-00000500/       a Hugging Face folder: model.safetensors, config.json, tokenizer.json, README.md ...
                                 and what going on needs: optimizer.safetensors, state.json; manifest.json was last

Which checkpoint is the newest or the best is read off the verified manifests; no file points anywhere.
"""

"""What train.py may use of its argument `trial`: the source of the contract in briefs and in docs/contract.md."""

# name, with the arguments of a method -> meaning; T is seq_len
TRIAL = {
    "trial.vocab_size": "number of token ids",
    "trial.seq_len": "T, the number of tokens that a row predicts; a row holds T + 1",
    "trial.device": "`cpu` or `cuda`",
    "trial.seed": "of this trial: an integer that the referee has drawn",
    "trial.budget": "the budget: a number of seconds, CPU-seconds or steps",
    "trial.eval_batch": "rows in each call of the function that `load` returned, when it is scored",
    "trial.save(state, config)": "deliver the checkpoint: arrays or tensors by name, and JSON for `load`; the last one"
    " before the bell is scored. Before `trial.start()` it is a rehearsal, and twice the time that it takes is kept"
    " free at the end",
    "trial.reserve": "time that is kept free at the end in any case, in the unit of the budget (1 % of it and 0.05; 0"
    " for steps); set it to more if the last `save` or what comes before it needs more",
    "trial.start()": "end the setup: the training rows arrive and the clock runs; once",
    "trial.progress": "0 to 1 over the budget less what is kept free; 1 when another step would not end in time",
    "trial.batches(batch_size)": "endless pairs x, y on the device, int64 [batch_size, T] (arrays without torch),"
    " shuffled by the seed anew in each epoch",
    "trial.rows": "all training rows, uint16 [n, T + 1], read-only, in memory of the CPU, for an order of your own",
    "trial.log(**numbers)": "report numbers by name: `step` (number of steps so far) and `loss` (mean since the last"
    " call, in nats a token) are a point of the curve; `tokens_per_step` lets speed be computed. Nothing is decided"
    " by them",
}

-- Migration 6: parameters are those of the checkpoint, and no longer what train.py says.

UPDATE trials SET num_params = json_extract(result, '$.parameters');

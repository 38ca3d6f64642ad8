"""The module `kernels` of a script, inside a cell: nothing can be downloaded there, so torch computes the attention."""

from types import ModuleType, SimpleNamespace

from autoresearch.measure.answers import Array


def make_kernels(torch: ModuleType) -> ModuleType:
    """Return a module whose `get_kernel` has the function of FlashAttention that karpathy/autoresearch uses."""

    def flash_attn_func(
        q: Array,
        k: Array,
        v: Array,
        softmax_scale: float | None = None,
        causal: bool = False,
        window_size: tuple[int, int] = (-1, -1),
    ) -> Array:
        """Return attention of q [B, T, H, D] to k and v [B, T, heads, D], in a window if it is shorter than T."""
        mask = _window(q.size(1), window_size, causal, torch, q.device)
        return torch.nn.functional.scaled_dot_product_attention(
            *(part.transpose(1, 2) for part in (q, k, v)),
            attn_mask=mask,
            is_causal=causal and mask is None,
            scale=softmax_scale,
            enable_gqa=k.size(2) != q.size(2),
        ).transpose(1, 2)

    module = ModuleType("kernels")
    interface = SimpleNamespace(flash_attn_func=flash_attn_func)
    kernel = SimpleNamespace(flash_attn_interface=interface, flash_attn_func=flash_attn_func)
    module.__dict__["get_kernel"] = lambda *name, **options: kernel
    return module


def _window(length: int, size: tuple[int, int], causal: bool, torch: ModuleType, device: object) -> Array | None:
    """Return which positions [T, T] a window lets each one see; None if it lets all that the causal order lets."""
    left, right = (size[0], 0) if causal else size
    if not 0 <= left < length - 1 and (causal or not 0 <= right < length - 1):
        return None
    places = torch.arange(length, device=device)
    back = places[:, None] - places
    mask = back <= left if left >= 0 else back <= length
    return mask & (back >= -right) if right >= 0 else mask

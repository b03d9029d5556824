"""Networks that neither torchvision nor timm has: one module a family, each with its paper."""

"""Throw-away servers with a kernel of their own: the base system under qemu.

KVM where stock kernels boot with it, software emulation otherwise (about 12 times slower than the machine).
The kernel and its initrd are given to qemu by this machine, so that no bootloader is needed or proven.
"""

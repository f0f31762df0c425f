"""The losses of the paper: supervised, prototype consistency (CG-CPCL), competition (DTCT) and their sum."""

"""Who acts: data holders that release private gradients, compute nodes that append blocks."""

// A prediction that arrives while the annotator draws.

/**
 * Put a prediction beneath strokes.
 *
 * @param {Uint8Array[]} prediction for each image
 * @param {Uint8Array[]} label for each image, as it is now
 * @param {Uint8Array[]} before for each image, as the label was when the prediction was asked for
 * @returns {Uint8Array[]} for each image: the label where it changed meanwhile, else the prediction
 */
export function putBeneath(prediction, label, before) {
  return prediction.map((predicted, index) => {
    const [now, then] = [label[index], before[index]];
    return predicted.map((value, n) => (now[n] === then[n] ? value : now[n]));
  });
}

/** Copy the pixels of each image. */
export function copies(slices) {
  return slices.map(slice => slice.slice());
}

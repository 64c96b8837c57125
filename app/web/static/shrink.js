// Photos that are larger than the service takes: scaled down before they are sent.

const MOST_BYTES = 4_000_000; // of a file that is sent as it is: a third of what the service takes by default
const MOST_PIXELS = 12_000_000;
const SIDE = 1600; // pixels of the longer side of one that is scaled down: far more than a network reads
const QUALITY = 0.92;

/**
 * The file as it is sent: `{ file, from, to }`, the sizes `[width, height]` before and after if it was scaled down. A file
 * that this browser cannot decode is sent as it is; of an animated one the first picture is left.
 */
export async function shrunk(file) {
  if (!/^image\/(jpeg|png|webp)$/.test(file.type)) return { file };
  const image = await createImageBitmap(file).catch(() => null);
  if (!image) return { file };
  const from = [image.width, image.height];
  const scale = SIDE / Math.max(...from);
  const fits = file.size <= MOST_BYTES && image.width * image.height <= MOST_PIXELS;
  const to = from.map((side) => Math.max(1, Math.round(side * Math.min(1, scale))));
  const smaller = fits ? null : await drawn(image, to, file.name);
  image.close();
  return smaller && smaller.size < file.size ? { file: smaller, from, to } : { file };
}

async function drawn(image, [width, height], name) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, width, height);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
  return new File([blob], name.replace(/\.\w+$/, "") + ".jpg", { type: "image/jpeg" });
}

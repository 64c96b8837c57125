// The frames of a clip, as a browser decodes them: of one animated file, or of several images.

const USUAL = 100; // milliseconds of a frame without a duration
const MOST = 256; // frames that are decoded: the memory of a browser is not that of the service

/** The frames of `files`: `{ image, milliseconds }`, `image` a canvas. None if this browser cannot decode them. */
export async function framesOf(files) {
  try {
    if (files.length === 1 && "ImageDecoder" in window) return await animated(files[0]);
    if (files.length > 1) return await Promise.all(files.slice(0, MOST).map(still));
  } catch {
    // no image, which the service reports
  }
  return [];
}

/** The items that are shown in the middle of each of `count` equal spans of the whole time, as the service samples a clip. */
export function sampled(frames, count) {
  const ends = [];
  for (const { milliseconds } of frames) ends.push((ends.at(-1) ?? 0) + milliseconds);
  const span = ends.at(-1) / count;
  return Array.from({ length: count }, (_, number) => {
    const at = ends.findIndex((end) => end > (number + 0.5) * span);
    return frames.at(at); // -1 is the last one
  });
}

/** Each frame as a file of its own. */
export function asFiles(frames) {
  return Promise.all(
    frames.map(
      ({ image }, at) => new Promise((keep) => image.toBlob((blob) => keep(new File([blob], `frame-${at + 1}.png`, { type: "image/png" })), "image/png")),
    ),
  );
}

async function animated(file) {
  const decoder = new ImageDecoder({ data: await file.arrayBuffer(), type: file.type });
  await decoder.tracks.ready;
  const frames = [];
  for (let frameIndex = 0; frameIndex < Math.min(MOST, decoder.tracks.selectedTrack.frameCount); frameIndex += 1) {
    const { image } = await decoder.decode({ frameIndex });
    frames.push({ image: drawn(image, image.displayWidth, image.displayHeight), milliseconds: image.duration / 1000 || USUAL });
    image.close();
  }
  decoder.close();
  return frames;
}

async function still(file) {
  const image = await createImageBitmap(file);
  return { image: drawn(image, image.width, image.height), milliseconds: USUAL };
}

function drawn(image, width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas;
}

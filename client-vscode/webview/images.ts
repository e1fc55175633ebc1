/** Pasted pictures: taken in, or refused with a reason. Law: nothing is decoded before its size is known. */

import type { PastedImage } from "../src/chat/messages";
import { bytes } from "./words";

const IMAGE_BYTES_MAX = 20_000_000;
const MEDIA_TYPES = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/** Say why this picture cannot be taken, or nothing when it can. */
export function refusalOf({ type, size }: { type: string; size: number }): string | undefined {
  if (!MEDIA_TYPES.includes(type)) return `Pictures of the type ${type} cannot be sent. Use PNG, JPEG, GIF or WebP.`;
  if (size <= IMAGE_BYTES_MAX) return undefined;
  const most = bytes(IMAGE_BYTES_MAX);
  return `This picture has ${bytes(size)}; at most ${most} can be sent. Make it smaller and paste it again.`;
}

export function readImage(file: File): Promise<PastedImage> {
  return new Promise((resolve, reject) => {
    const why = refusalOf(file);
    if (why) throw new Error(why);
    const reader = new FileReader();
    reader.onerror = () => reject(reader.error ?? new Error("The picture could not be read."));
    reader.onload = () => resolve({ mediaType: file.type, data: String(reader.result).replace(/^[^,]*,/, "") });
    reader.readAsDataURL(file);
  });
}

/** The one door to `bun:ffi`. Pointers are JS numbers; keep the buffers they point into referenced over the call. */
export { CString, dlopen, FFIType, JSCallback, type Pointer, ptr, read, toArrayBuffer } from "bun:ffi";

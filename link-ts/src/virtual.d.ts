/** The core's wasm, deflated and in base64; made by `build.mjs`. */
declare module "virtual:core" {
  const packed: string;
  export default packed;
}

declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}

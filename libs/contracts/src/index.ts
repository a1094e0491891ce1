export * from './events.js';
export * from './frame.dto.js';
export * from './frames.js';

/** Path of the committed OpenAPI document, from the top of the repository. */
export const OPENAPI_FILE = 'libs/contracts/openapi.json';

/** Path of the committed AsyncAPI document, from the top of the repository. */
export const ASYNCAPI_FILE = 'libs/contracts/asyncapi.json';

/** Entry point of a hart's thread that translates everything before it executes it (VIRTAX_CPU=forced, for tests): with its own compiler. */
import { Hart } from '../cpu/hart.js';
import { serveHart } from './hart-thread.js';

serveHart(Hart);

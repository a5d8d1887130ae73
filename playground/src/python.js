// Loaded when code is shown for the first time.
import { pythonLanguage } from "@codemirror/lang-python";

export const python = () => pythonLanguage;

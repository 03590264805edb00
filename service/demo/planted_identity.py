"""Identity that a phantom carries, so that its absence can be shown: names and numbers in every corner of a header.

Each value holds a token of its own, eleven letters that occur nowhere else. A token that turns up in what is served or
stored in the clear tells by itself which element leaked.
"""

from __future__ import annotations

import string

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

TOKEN_LETTERS = 11
PRIVATE_CREATOR = "ANNOGATE PHANTOM"


class PlantedIdentity:
    """An invented patient, hospital and staff, drawn from a random source.

    ``tokens`` are what was handed out so far: every one stands in the header once :meth:`plant` has run.
    """

    def __init__(self, random: np.random.Generator) -> None:
        letters = random.permutation(list(string.ascii_lowercase))
        self._letters = [str(letter) for letter in letters]
        self._random = random
        self.tokens: list[str] = []
        self.family_name, self.given_name = self._name(), self._name()

    def _name(self) -> str:
        word = "".join(str(letter) for letter in self._random.choice(self._letters, TOKEN_LETTERS)).capitalize()
        self.tokens.append(word)
        return word

    def _person(self) -> str:
        return f"{self._name()}^{self._name()}"

    def plant(self, header: Dataset) -> None:
        """Write the identity into a header, at every depth."""
        self._plant_patient(header)
        self._plant_study(header)
        self._plant_equipment(header)
        self._plant_requests(header)
        self._plant_private(header)

    def _plant_patient(self, header: Dataset) -> None:
        header.PatientName = f"{self.family_name}^{self.given_name}"
        header.PatientID = self._name()
        header.IssuerOfPatientID = self._name()
        header.PatientBirthDate = f"{int(self._random.integers(1931, 1990))}0317"
        header.PatientSex = str(self._random.choice(["F", "M"]))
        header.PatientAge = "061Y"
        header.PatientWeight = str(int(self._random.integers(55, 95)))
        header.PatientSize = "1.72"
        header.OtherPatientNames = self._person()
        header.PatientBirthName = self._person()
        header.PatientMotherBirthName = self._person()
        header.PatientAddress = f"{self._name()} Street 7"
        header.PatientTelephoneNumbers = self._name()
        header.EthnicGroup = "Phantom"  # a patient characteristic: kept by a profile that keeps those
        header.Occupation = self._name()
        header.PatientComments = f"Known to {self._name()} as {self.given_name} {self.family_name}"
        header.AdditionalPatientHistory = f"Referred after a fall, see letter of Dr {self._name()}"
        other = Dataset()
        other.PatientID = self._name()
        other.IssuerOfPatientID = self._name()
        other.TypeOfPatientID = "TEXT"
        header.OtherPatientIDsSequence = DicomSequence([other])

    def _plant_study(self, header: Dataset) -> None:
        header.AccessionNumber = self._name()
        header.StudyID = self._name()
        header.StudyDescription = f"CT thorax, {self.family_name}, {self._name()}"
        header.SeriesDescription = f"Thorax 1.0 {self._name()}"
        header.ProtocolName = f"Thorax {self._name()}"
        header.ImageComments = f"Call {self._name()} about {self.family_name}"
        header.ReferringPhysicianName = self._person()
        header.PhysiciansOfRecord = self._person()
        header.PerformingPhysicianName = self._person()
        header.NameOfPhysiciansReadingStudy = self._person()
        header.OperatorsName = self._person()
        physician = Dataset()
        physician.PersonIdentificationCodeSequence = DicomSequence([self._code()])
        physician.PersonAddress = f"{self._name()} Road 3"
        physician.InstitutionName = self._name()
        header.ReferringPhysicianIdentificationSequence = DicomSequence([physician])

    def _plant_equipment(self, header: Dataset) -> None:
        header.InstitutionName = f"{self._name()} Hospital"
        header.InstitutionAddress = f"{self._name()} Avenue 12"
        header.InstitutionalDepartmentName = f"Radiology {self._name()}"
        header.StationName = self._name()
        header.DeviceSerialNumber = self._name()

    def _plant_requests(self, header: Dataset) -> None:
        request = Dataset()
        request.RequestedProcedureDescription = f"Thorax of {self._name()}"
        request.RequestedProcedureID = self._name()
        request.ScheduledProcedureStepDescription = self._name()
        request.ScheduledProcedureStepID = self._name()
        request.RequestedProcedureCodeSequence = DicomSequence([self._code()])
        header.RequestAttributesSequence = DicomSequence([request])
        header.PerformedProcedureStepID = self._name()
        header.PerformedProcedureStepDescription = self._name()
        header.RequestingPhysician = self._person()
        header.RequestedProcedureDescription = f"Thorax, {self._name()}"

    def _plant_private(self, header: Dataset) -> None:
        block = header.private_block(0x0029, PRIVATE_CREATOR, create=True)
        block.add_new(0x01, "LO", f"Patient {self._name()}")
        nested = Dataset()
        nested.PatientName = self._person()
        nested.PatientComments = self._name()
        block.add_new(0x02, "SQ", DicomSequence([nested]))
        block.add_new(0x03, "OB", self._padded(self._name()))

    def _code(self) -> Dataset:
        code = Dataset()
        code.CodeValue = self._name()
        code.CodingSchemeDesignator = "99PHANTOM"
        code.CodeMeaning = self._name()
        return code

    @staticmethod
    def _padded(word: str) -> bytes:
        encoded = word.encode("ascii")
        return encoded + b"\0" * (len(encoded) % 2)
